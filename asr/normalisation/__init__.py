"""Makes texts comparable: one form of what is said, whatever way it is written. Pure functions of text and language.

normalise   the normaliser of each language, and its units: words, or characters where no spaces are written
canonical   writes characters that have several encodings in one form
english     Whisper's English rules, numbers as the digits that are said
numbers     number words as digits in other languages
vietnamese  words that have two spellings, and numbers that have several forms, in one

`eval` scores by it; a server compares the texts of two releases by it.
"""
