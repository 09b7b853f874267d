"""Language model of characters: text in, text out; exports a SavedModel and TFLite files that stream.

    python recipes/language_model.py --dataset text:tinyshakespeare.txt
    python recipes/language_model.py --dataset text:mine.txt --cell min_gru
    tfpar predict exports/language_model "To be" --length 300 --temperature 0.7
    tfpar evaluate exports/language_model text:other.txt
    python recipes/language_model.py --smoke                # two steps on generated data

Needs: pip install '.[recipes]'. The last line on stdout is one JSON object with all results.
"""

from tfpar.cli.recipe import run_task
from tfpar.tasks.language_modeling import LanguageModeling

if __name__ == "__main__":
    run_task(LanguageModeling)
