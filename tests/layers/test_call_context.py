"""The call context: nested settings, and their end."""

import pytest

from tfpar.layers.call_context import (
    CallContext,
    call_context,
    exporting,
    first_row,
    is_exporting,
    is_exporting_file,
    rows_begin_at,
)
from tfpar.layers.recurrent.streaming import streamed


def test_nested_settings_do_not_reset_each_other():
    with exporting("tflite_int8", form="loop", padding="right"), rows_begin_at(8), streamed({}) as streams:
        assert call_context() == CallContext("tflite_int8", "loop", "right", 8, streams)
        assert is_exporting("tflite", "tflite_int8") and is_exporting_file() and first_row(4) == 8
        with exporting("saved_model"):
            assert call_context() == CallContext("saved_model", first_row=8, streams=streams)
            assert not is_exporting_file()
        assert call_context().export_form == "loop"
    assert call_context() == CallContext()


def test_settings_end_with_an_error():
    with pytest.raises(ZeroDivisionError), rows_begin_at(1):
        _ = 1 / 0
    assert call_context() == CallContext() and first_row(4) == 0
