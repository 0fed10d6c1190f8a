"""The studio: a web page for the course's shipped models, whose results are labelled as generated.

Importing it is fast: Gradio comes with `page`, TensorFlow with the first clip that is made.
"""
