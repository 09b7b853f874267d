from .sequence_layer import verify_sequence_layer as verify_sequence_layer

__all__ = ["verify_sequence_layer"]
