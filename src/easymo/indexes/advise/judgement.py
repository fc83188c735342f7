"""Every constant that advise was tuned with, and what fixed it.

A workload of `benchmarks/workloads` in brackets is the one on which a value was found or corrected.
`calls` is the one that the search was made with. Without a workload nothing but judgement fixed the value, and the
comment says what it balances. Changing one wants `make bench-advise` on all workloads: the shares below decide between
sets of indexes that are nearly equal.
"""

# What is looked at.
TOP_STATEMENTS = 100  # of pg_stat_statements: time of the advice against completeness; a note counts the rest
LEAST_COUNTED_S = 3600  # counters of a few minutes describe a load or a restore, not a rate (the platform's fourteen)
MODEL_BYTES = 64 * 10**6  # the planner is asked thousands of times: 4.2 million rows in 90 s (calls)

# What becomes a candidate.
FEW_VALUES = 50  # distinct values up to which a constant is a predicate: states have a few, chance values thousands
MAX_KEYS = 4  # the use of one more key against the candidates that it makes
MAX_INCLUDED, MAX_INCLUDED_WIDTH = 5, 64  # columns, bytes: index-only scans against an INCLUDE that is a second table
SPARSE = 0.5  # of the rows are null: an index without them is much smaller, and no comparison misses them
PARTIAL = 0.5  # a predicate that admits more of the rows saves too little for the updates that it affects (calls)
WIDE_BYTES = 200  # mean width from which an equality also gets a hash index: B-tree entries end at 2,700 bytes
ORDERED = 0.9  # correlation from which a range also gets a BRIN index: below it every block range holds every value

# What a plan costs. A fetch of a few rows by an index costs the same on a larger table.
FEW_ROWS_COST = 500.0  # planner units (calls)

# What a plan does, counted: no busy machine changes it. A row that a node passes on takes about 0.1 us on the machines
# this was tried on (a scan of 2 million rows 0.24 s), a buffer 0.5 us in memory. A round trip and the planning take
# 0.1 ms; below that nobody sees a difference.
CALL_MS, BUFFER_MS, ROW_MS = 0.1, 0.001, 0.0001
SAME = 0.85  # two plans within 15 % of counted work are the same work; the clock of a loaded machine moved as much
READ_MS = 0.1  # a buffer that is not in memory, from an SSD, where the server does not time its reads
RUNS, WITHIN_S = 9, 0.4  # of each query: the best run is the least disturbed; against the time of the advice (calls)

# What writes pay. One entry of one index, written and later vacuumed: inserts of 200,000 rows with 5 indexes took 2-3
# us an entry, with its WAL but without a disk; twice that for what a benchmark does not see.
ENTRY_MS = 0.006
# An entry on a page that nobody wrote since the last checkpoint also writes that page to the WAL: 8 kB at 100 MB/s.
PAGE_IMAGE_MS = 0.08
CHECKPOINT_MINUTES = 5.0  # Postgres' default checkpoint_timeout

# What is worth an index. All are shares of the time that is left.
NEARLY = 0.97  # of two gains this close the smaller index is chosen: space against a gain that nobody sees
WORTH = 0.004  # a smaller gain in the model is no reason for an index (calls)
BETTER = 0.9  # a candidate that lowers a query's cost by less is not for this query: fewer tries
SMALLER, SMALLER_TRIED = 0.75, 2  # size of what may take the place of another, how many are measured (helpdesk)
EQUALLY = 0.01  # of the cost without any index: candidates this close to the best are equal to it
NOISE = 0.005  # a smaller measured gain is noise
MATTERS = 0.005  # a query below this share is fast enough, whatever it reads
NO_MATTER = MATTERS / 10  # below it nothing is tried for a query: ten of them together would not matter
FAST_MS = 1.0  # so is one below this: a scan of a small table
SPACE_WORTH = (
    0.5  # an index with a tenth of all space must gain a twentieth of the time that was helped (shop, tracking)
)
# Queries with this share get the next best candidates of the model measured, too, three a query (sensors, warehouse).
RETRY_SHARE, RETRIES, PER_QUERY = 0.015, 24, 3
