"""What is too much for one row, so that no file can fill the memory."""

from __future__ import annotations

LONGEST_ROW = 128 * 2**20
"""Bytes of the longest row that is read. Ten images in one row have less; a file without line ends has more."""
MOST_TEXT = 2 * LONGEST_ROW
"""Bytes of the longest row as Python holds it: with one emoji in it, each of its characters takes four."""
LONGEST_CSV_ROW = LONGEST_ROW // 4
"""Bytes of the longest row of CSV: the csv module holds four for each character of a cell."""
MOST_PARTS = 1_000_000
"""Texts, commas and brackets in one row of JSON, and cells in one of CSV. A megabyte of `{},{},{}` takes thirty in
memory."""
DEEPEST = 200
"""Levels of nesting: more than any record has, and few enough to be written again from wherever that is done."""
LONGEST_NUMBER = 4300
"""Characters of the longest number; Python's own limit, beyond which it takes too long to read one."""
MOST_MEMORY = 2**30
"""Bytes that reading takes, whatever is in a file: the limits above see to it, and the tests measure it. A row is there
as its text, as a record and as the line that is written, each of at most `MOST_TEXT`."""
MOST_TABLE_MEMORY = 2 * 2**30
"""Bytes that the process may take in which a table is decoded; it is ended when it takes more. A page of Parquet often
holds a thousand rows, packed and unpacked at once, and there may be images in them."""
MOST_UNFOLDED, TIMES_ITS_SIZE = 2**30, 1000
"""Bytes that a table may unfold to, and how many more for each that it has. A few bytes that take hours to be read are
no data set."""
MOST_UNPACKED, TIMES_PACKED = 2**30, 200
"""Bytes that a packed text may unpack to, and how many more for each that it has. JSON of much the same rows unpacks to
some fifty times its size."""
