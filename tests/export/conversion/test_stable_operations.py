"""Operations whose lowering by TFLite's converter overflows are exported in a form that does not."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfpar.export import TFLiteModel, tflite

INPUTS = np.array([[-200.0, -3.0, 0.0, 2.0, 89.0, 3000.0]], "float32")


@pytest.mark.parametrize("activation", ["softplus", "log_sigmoid", "mish"])
def test_large_inputs_give_what_keras_gives(activation, tmp_path):
    inputs = keras.Input((6,), name="x")
    model = keras.Model(inputs, keras.layers.Activation(activation, name="y")(inputs))
    tflite(model, tmp_path / "a.tflite")
    np.testing.assert_allclose(TFLiteModel(tmp_path / "a.tflite")(x=INPUTS)["y"], model(INPUTS), rtol=1e-5, atol=1e-7)


def test_the_converter_still_overflows():
    function = tf.function(tf.math.softplus, input_signature=[tf.TensorSpec((1, 6))])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], INPUTS)
    interpreter.invoke()
    assert np.isinf(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])).any()
