from .mean_over_views import mean_over_views as mean_over_views
from .predict import ImagePredictor as ImagePredictor
from .recipe import ImageClassification as ImageClassification
from .recipe import ImageClassificationConfig as ImageClassificationConfig
from .shifted_views import ShiftedViews as ShiftedViews
