from .data import LanguageData as LanguageData
from .data import load_language_data as load_language_data
from .predict import LanguagePredictor as LanguagePredictor
from .recipe import LanguageModeling as LanguageModeling
from .recipe import LanguageModelingConfig as LanguageModelingConfig
from .token_stream import TokenStream as TokenStream
from .token_stream import sample_token as sample_token
from .vocabulary import Vocabulary as Vocabulary
