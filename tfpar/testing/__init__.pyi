from .resumption import assert_resumes_at_every_step as assert_resumes_at_every_step
from .sequence_layer import check_sequence_layer as check_sequence_layer
from .sequence_layer import verify_sequence_layer as verify_sequence_layer

__all__ = ["assert_resumes_at_every_step", "check_sequence_layer", "verify_sequence_layer"]
