import re

import polars as pl

from safelight.reports.data import CSV_BYTES, data_of


def test_a_long_table_is_cut_in_the_page_and_the_cut_is_told():
    table = pl.DataFrame({"name": [f"adapter {number}" for number in range(50_000)]})
    data = data_of(table, file_name="long.csv")
    assert len(data.csv) < 1.4 * CSV_BYTES
    assert re.fullmatch(r"The first [\d,]+ of 50,000 rows; all of them from", data.note)
    assert data.extent == "50,000 rows, the first 50 shown"
