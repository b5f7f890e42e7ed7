"""Labels by people: what to listen to, what a corrected text says about releases, and the page of `asr labels serve`.

queue       which clips wait for a person, and in which order
record      a corrected text -> labels of the releases, for quality and for rollouts
exchange    JSON lines and Label Studio's form, both ways
app, serve  the page's own server
"""
