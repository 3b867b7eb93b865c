"""A trained model as one HTML file that runs it, see `rnnzoo.export.web.pages`."""

from rnnzoo.export.web.pages import page as page
