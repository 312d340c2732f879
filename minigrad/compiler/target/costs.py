"""Sizes from which on generated code changes, with their units: measured on current processors.

They are read as `costs.NAME`, so that a test that lowers one meets the code for large arrays.
"""

# What processors have
CACHE_LINE_BYTES = 64
CACHE_LINE_ENTRIES = 16  # float32 entries

# Simplification
MAX_FOLDED_SIZE = 1 << 16  # entries of a constant that is computed beforehand
MAX_UNROLLED_TERMS = 16  # of a reduction that is written as binary ops
MAX_NARROW_COLUMNS = 3  # of a product: fewer than make a vector worth while
MIN_DOT_ROWS = 8  # of a product so narrow, from which on its rows are summed several at a time,
MIN_DOT_DEPTH = 16  # if they have so many terms: a vector, or more
MAX_LITERALS = 16  # different numbers at one input of an op, up to which they stay literals

# Fusion
MAX_STAGES = 32  # of a kernel
MAX_OPS_PER_ENTRY = 160  # operations of a kernel on each entry
FUSION_WINDOW = 16  # kernels back that a stage may join
RECOMPUTE_LIMIT = 2  # operations up to which a value is recomputed rather than stored
RECOMPUTE_LIMIT_LARGE = 16  # the same for values that caches do not hold
MIN_LARGE_SIZE = 1 << 18  # entries of such a value
EXPENSIVE_OP_COST = 8  # operations that one op of EXPENSIVE_OPS counts as
MAX_ARRAYS_READ = 12  # by one stage
MAX_INLINE_DEPTH = 32  # ops in a chain that is inlined
MAX_INLINE_READS = 100  # by a value that is inlined
MAX_INLINE_CONCATENATE = 64  # entries of a concatenation that is inlined
MAX_FOLD_TERMS = 16  # windows that cover one entry

# Control flow
MAX_SCALARS = 400  # computed in a round of a loop, up to which each is a variable of C

# Linear algebra
MAX_SMALL_MATRIX = 32  # rows up to which loops are faster than a call of LAPACK

# Contractions
MAX_UNPACKED_COLUMNS = 64  # up to which x is read too few times for a packed copy to pay
MAX_UNPACKED_ROWS = 24  # the same for y, if its rows are far apart
MAX_ROW_STRIDE = 128  # entries up to which rows of y are not far apart
MIN_IMAGES = 8  # that make a tile of a convolution with a border: taps there are the same for all
FEWER_STEPS = 0.7  # of those with channels in vectors, for which images are put there instead
STEPS_OF_SPREADING = 8  # steps of a sum that take as long as a copy of what a vector of them reads
MIN_ROWS = 4  # of a tile, from which on each load of a vector serves several sums
MIN_ROWS_PER_WASTED = 32  # rows of a product for each that may be computed twice,
MAX_WASTEFUL_PRODUCT = 1 << 24  # if it has up to so many multiply-adds
MAX_ROW_FACTOR = 1 << 12  # entries of y that each row of a product reads again, where reduced
MAX_CACHED_FACTOR = 1 << 18  # bytes of y that stay in cache
MAX_CACHED_DEPTH = 1 << 11  # steps of the depth that stay in cache

# Reductions
MAX_ADJACENT_TERMS = 64  # of a sum: so few do not pay for a loop of their own over each result

# Sums are added up in parts, and the parts in float64, so that they keep their accuracy.
TERMS_PER_PART = 24  # of a sum
STEPS_PER_PART = 384  # of a contraction

# Loops over rows
MIN_TILED_SIZE = 4096  # entries from which on a transposed read is by tiles
MIN_TILE_COLUMNS = 8  # of a tile, which are a vector
TILE_COLUMNS = 64  # at most: tiles have as many rows as a line of the cache has entries
MIN_WIDE_EXTENT = 16  # of an innermost loop, below which it is merged with the loop around it
MAX_WIDENED = 512  # entries of a local array with copies for that
MIN_REPEATED = 8  # times that such an array is read, from which on it pays
MIN_PEELED_EXTENT = 32  # of a loop whose iterations at the border of arrays are peeled off
BLOCK_VECTORS = 32  # vectors of float32 in a block of a sum
MAX_LANE_COLUMNS = 24  # of rows that are short enough for several of them to be in one vector
ROWS_PER_BLOCK = 32  # whose sums are kept, for what is computed once a row to be in vectors
MAX_BLOCK_ROW = 512  # entries of a row of such a block, which stays in cache
MIN_DISTRIBUTED_WORK = 2  # divisions of a row, or what takes as long, for which that pays
MAX_LOOP_BY_LANES = 512  # iterations of a SIMD loop, up to which its sums and its rest matter
MASKED_VECTOR = 64  # bytes of vectors on machines that have masks
MIN_MASKED_PART = 3  # the part of its lanes, 1/3, that a masked vector has in use at least
MAX_LOCAL_ENTRIES = 2048  # of a local array: there may be several, and stacks are small
CELL_COPIES = 8  # of the few that a scatter-add adds to: sums do not wait for each other

# Threads
MIN_SHARED_KERNEL = 1 << 14  # operations of a kernel from which on threads share it
UNKNOWN_ROUNDS = 64  # of a loop that a value stops, as far as work is counted
MIN_SHARED_ROUND = 1 << 18  # operations of a round of a loop from which on threads share it
MIN_SHARED_PROGRAM = 1 << 19  # operations of all such kernels from which on a program has threads

# Building
MIN_SPLIT_SOURCE = 1 << 14  # characters of C for each compiler that runs beside others
