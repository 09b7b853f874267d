"""Recognition of spoken words or strings of digits from synthesized voices; exports SavedModel and TFLite files.

    python recipes/speech.py                            # ten digits, by convolutions and an LSTM
    python recipes/speech.py --words all                # and ten commands
    python recipes/speech.py --model cnn_lstm --streaming   # a prediction every 40 ms
    python recipes/speech.py --task digits              # strings of digits, by CTC
    python recipes/speech.py --dataset folder:clips     # one sub-folder of WAV files for each class
    python recipes/speech.py --smoke                    # two steps on generated data

Result: test accuracy 0.998 on ten digits of unseen synthesized voices (seed 1); 0.954 with `--model lstm --streaming`.
Machine and time: two CPU cores, 151 and 137 seconds.

Needs: pip install '.[recipes,speech]'. The last line on stdout is one JSON object with all results.
"""

from tfpar.cli.recipe import run_task
from tfpar.tasks.speech_recognition import SpeechRecognition

if __name__ == "__main__":
    run_task(SpeechRecognition)
