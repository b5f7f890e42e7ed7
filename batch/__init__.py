"""`asr transcribe`: recordings to texts, a few to standard output, or folders of them so that a crash costs little.

commands      declares the subcommand
options       holds its options
printing      prints the texts of a few recordings
folders       starts a run, a plan or a watch over folders

inputs        finds the recordings, and where their texts go
run           finds what is not done, has it transcribed, sums it up
job           hashes what the texts of a run depend on
results       writes outcomes to texts, journal and list of failures
destination   chooses between a folder and object storage
outputs       writes texts to a folder
journal       records what is done
store         reads and writes object storage
urls          recognises URLs among paths
estimate      predicts what a run would take
watch         waits for files to arrive
progress      shows how far a run is

backend       describes where recordings are transcribed: `local` or `ray_cluster`
local         runs workers on this machine
ray_cluster   runs workers on a Ray cluster
dispatch      keeps workers busy: reads recordings, batches their windows
worker        reads and recognises, in any process
reader        reads one recording part by part
messages      crosses the pipe to a worker
"""
