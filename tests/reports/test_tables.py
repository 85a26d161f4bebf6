import json

import numpy as np

from reports.tables import results_markdown, results_text, save_results

SF_XS = {
    "R@10": 84.06,
    "R@1": 71.24,
    "R@5": 80.0,
    "answerable R@10": 85.1,
    "answerable R@1": 72.1,
    "answerable R@5": 81.0,
    "database": 27191,
    "queries": 1000,
    "queries_without_positives": 12,
}
TOKYO = {
    "R@1": 90.0,
    "R@5": 95.0,
    "R@10": 100.0,
    "answerable R@1": 90.0,
    "answerable R@5": 95.0,
    "answerable R@10": 100.0,
    "database": 75984,
    "queries": 315,
    "queries_without_positives": 0,
}


def test_markdown():
    assert (
        results_markdown({"sf_xs/test": SF_XS, "tokyo": TOKYO})
        == """\
| test set | R@1 | R@5 | R@10 | database | queries | no positive |
| :-- | --: | --: | --: | --: | --: | --: |
| sf_xs/test | 71.2 | 80.0 | 84.1 | 27191 | 1000 | 12 |
| tokyo | 90.0 | 95.0 | 100.0 | 75984 | 315 | 0 |

Over answerable queries only (those with a positive in the database):

| test set | R@1 | R@5 | R@10 | answerable queries |
| :-- | --: | --: | --: | --: |
| sf_xs/test | 72.1 | 81.0 | 85.1 | 988 |
"""
    )


def test_text():
    assert (
        results_text({"sf_xs/test": SF_XS, "tokyo": TOKYO})
        == """\
test set     R@1   R@5   R@10  database  queries  no positive
-------------------------------------------------------------
sf_xs/test  71.2  80.0   84.1     27191     1000           12
tokyo       90.0  95.0  100.0     75984      315            0

Over answerable queries only (those with a positive in the database):

test set     R@1   R@5  R@10  answerable queries
------------------------------------------------
sf_xs/test  72.1  81.0  85.1                 988
"""
    )


def test_one_table_where_all_queries_are_answerable():
    assert results_markdown({"tokyo": TOKYO}).count("test set") == 1


def test_sets_may_lack_values_and_have_awkward_names():
    text = results_markdown({"a|b\\c": {"R@1": float("nan"), "MRR": 3.0}, "d": {"R@20": 5, "queries": 7}})
    assert text.splitlines()[0] == "| test set | R@1 | R@20 | database | queries | no positive |"
    assert text.splitlines()[2:] == ["| a\\|b\\\\c | – | – | – | – | – |", "| d | – | 5.0 | – | 7 | – |"]


def test_no_results():
    assert results_text({}).startswith("test set  database  queries  no positive\n---")


def test_save_results(tmp_path):
    results = {"sf_xs/test": {**SF_XS, "seconds": 1.5}, "東京": {"R@1": np.float32(0.5), "queries": np.int64(3)}}
    save_results(results, tmp_path / "run")
    text = (tmp_path / "run" / "results.json").read_text("utf-8")
    assert json.loads(text) == results
    assert list(json.loads(text)["sf_xs/test"]) == list(results["sf_xs/test"])
    assert text.startswith('{\n  "sf_xs/test": {\n    "R@10": 84.06,')
    assert (tmp_path / "run" / "results.md").read_text("utf-8") == results_markdown(results)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"results.json", "results.md"}


def test_transductive_results_are_named():
    results = {
        "a/test": TOKYO | {"transductive": True, "target_folders": ["x"]},
        "b/test": TOKYO | {"transductive": False},
    }
    for text in (results_markdown(results), results_text(results)):
        assert text.endswith("\n\nTransductive (the network was adapted to images of the set itself): a/test\n")
    assert "Transductive" not in results_text({"b/test": results["b/test"]})
