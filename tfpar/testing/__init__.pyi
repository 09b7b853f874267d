from .resumption import assert_resumes_at_every_step as assert_resumes_at_every_step

__all__ = ["assert_resumes_at_every_step"]
