"""Classification, forecasting and anomaly detection of time series; exports a SavedModel and TFLite files.

    python recipes/time_series.py --task classify                       # JapaneseVowels of the UEA archive
    python recipes/time_series.py --task classify --dataset gun_point
    python recipes/time_series.py --task forecast                       # airline passengers
    python recipes/time_series.py --task forecast --model deepar --distribution student_t
    python recipes/time_series.py --task forecast --dataset csv:load.csv --time_column time --horizon 24
    python recipes/time_series.py --task anomaly                        # a series of the UCR anomaly archive
    tfpar launch --workers 2 -- python recipes/time_series.py --task forecast
    python recipes/time_series.py --smoke                               # two steps on generated data

Results of airline passengers, seed 0, the last 24 months held out: MASE 0.75 by SegRNN, whose 80 % intervals cover
83 %, and 0.48 and 78 % by DeepAR; seasonal naive 1.76, exponential smoothing 0.64. Machine and time: two CPU cores,
half a minute. --task classify reports accuracy, --task anomaly average precision beside a rolling z-score.

Needs: pip install '.[recipes,time_series]'. The last line on stdout is one JSON object with all results.
"""

from tfpar.cli.recipe import run_task
from tfpar.tasks.time_series import TimeSeries

if __name__ == "__main__":
    run_task(TimeSeries)
