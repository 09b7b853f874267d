"""Classification of time series by recurrent networks; exports a SavedModel and TFLite files.

    python recipes/time_series.py --task classify                       # JapaneseVowels of the UEA archive
    python recipes/time_series.py --task classify --dataset gun_point
    python recipes/time_series.py --task classify --dataset ts:mine_TRAIN.ts --model recurrent
    python recipes/time_series.py --smoke                               # two steps on generated data

Needs: pip install '.[recipes]'. The last line on stdout is one JSON object with all results.
"""

from tfpar.cli.recipe import run_task
from tfpar.tasks.time_series import TimeSeries

if __name__ == "__main__":
    run_task(TimeSeries)
