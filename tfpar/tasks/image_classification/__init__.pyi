from .export import ImageClassifierExport as ImageClassifierExport
from .mean_over_views import mean_over_views as mean_over_views
from .predict import ImagePredictor as ImagePredictor
from .shifted_views import ShiftedViews as ShiftedViews
