"""Video generation with Keras 3 on TensorFlow: the package that the course's notebooks import.

Importing it is fast: TensorFlow comes in only with the modules that need it.
"""

__version__ = "0.2.0"
