"""What the pages of `eval` share.

render        fills templates
formatting    writes numbers
plots, histogram   draw SVG
audio_embed   puts recordings into a page
templates/    the pages
"""
