"""The second hearing: a share of the live streams, heard again by another release when its lane is idle.

recording   the calls on a stream's session, kept in memory, and the text that the champion gave
turns       when the second hearing may work
hearing     the same calls on the other release's session
comparison  two texts -> numbers
shadow      which streams are heard, what is dropped, what goes into the ledger
"""
