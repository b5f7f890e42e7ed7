"""One recording of any length -> a transcript -> files.

recording   transcribes a recording, its windows side by side
formats     transcripts as txt, json, srt, vtt, tsv, jsonl
subtitles   words -> subtitle cues
"""
