"""Optimizer for recipes."""

import keras


def adamw(
    *,
    learning_rate: float,
    steps: int,
    weight_decay: float = 0.0,
    clip_norm: float = 0.0,
    accumulate_steps: int = 1,
    ema: float = 0.0,
    warmup_fraction: float = 0.1,
) -> keras.optimizers.Optimizer:
    """Make AdamW with a linear warm-up and a cosine decay to zero.

    Args:
        learning_rate: the peak.
        steps: number of updates of the whole training.
        weight_decay: decoupled decay.
        clip_norm: bound on the global norm of the all-reduced gradient; 0 for none.
        accumulate_steps: batches whose gradients are accumulated for one update.
        ema: momentum of a moving average of the weights, which replaces the weights at the end of `fit`; 0 for none.
        warmup_fraction: fraction of the steps before the peak.

    Returns:
        A `keras.optimizers.AdamW`.
    """
    warmup = int(steps * warmup_fraction)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup else learning_rate,
        decay_steps=max(1, steps - warmup),
        warmup_target=learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    return keras.optimizers.AdamW(
        schedule,
        beta_2=0.99,
        weight_decay=weight_decay,
        global_clipnorm=clip_norm or None,
        gradient_accumulation_steps=accumulate_steps if accumulate_steps > 1 else None,
        use_ema=ema > 0,
        ema_momentum=ema or 0.99,
    )
