from . import face_recognition as face_recognition
from . import image_classification as image_classification
from . import language_modeling as language_modeling
from . import speech_recognition as speech_recognition
from . import text_classification as text_classification
from . import time_series as time_series
from . import translation as translation
from .runner import run as run
