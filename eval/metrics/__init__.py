"""Traces -> figures. Each metric is defined once, in `catalogue`; tables, benchmarks, reports and the gate read it.

catalogue      defines the metrics
scored_trace   computes what metrics need of a trace, once
word_errors    aligns a reference with a hypothesis, counts errors
word_times     finds when each word was shown, stopped changing and became final
turns          finds what came after the end of speech, and the text by then
endpoints      finds when the end of speech was reported, too early or late
average_lagging   LAAL and StreamLAAL
stability      measures how much shown text was taken back
estimates      gives metrics their values, intervals and comparisons
resampling, significance   the statistics behind them: intervals and tests from half-samples of speakers
few_speakers   what a sample of few speakers cannot show: parts of intervals that rest on a model
rounds         the machine's noise in costs and delays, from repeats
summary        lists every metric by model, data set and mode
"""
