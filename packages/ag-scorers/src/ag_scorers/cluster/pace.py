"""Numbers that connections, the executor and its simulation share."""

# Shards that are handed out for each worker, so that none waits for its next.
AHEAD = 2
# A shard that takes so many times as long as the median one, while another worker has nothing to do, is copied there.
SLOW = 2.0
# Seconds for a scheduler to come back, and for a worker to appear while there is none; for jobs of a queue: a day.
PATIENCE = 300.0
QUEUE = 86400.0
