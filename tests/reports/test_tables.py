import json

import numpy as np

from reports.tables import figures_table, results_markdown, results_text, save_results, skipped_note

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


STEPS = [
    {
        "step": "plain", "R@1": 70.0, "R@5": 80.0, "R@10": 90.0, "R@20": 95.0, "gain R@1": None, "gain R@5": None,
        "gain R@10": None, "gain R@20": None, "describing_seconds": 61.239, "fitting_seconds": None,
        "searching_seconds": 0.5, "bytes_a_descriptor": 2048, "table_bytes": 55_687_168,
    },
    {
        "step": "+ PCA 128", "R@1": 71.24, "R@5": 80.0, "R@10": 84.06, "R@20": 95.0, "gain R@1": 1.24, "gain R@5": 0.0,
        "gain R@10": -5.94, "gain R@20": 0.0, "describing_seconds": None, "fitting_seconds": 2.0,
        "searching_seconds": 0.126, "bytes_a_descriptor": 512, "table_bytes": 13_921_792,
    },
]  # fmt: skip


def test_steps_at_test_time(tmp_path):
    results = {"sf_xs/test": SF_XS | {"test_time": STEPS}, "tokyo": TOKYO}
    text = results_text(results)
    assert text.count("step by step") == 1
    assert text.endswith("""\
step        R@1   R@5  R@10  gain R@1  extract s  fit s  search s  bytes    MB
------------------------------------------------------------------------------
plain      70.0  80.0  90.0         –      61.24      –      0.50   2048  55.7
+ PCA 128  71.2  80.0  84.1      +1.2          –   2.00      0.13    512  13.9
""")
    assert "| + PCA 128 | 71.2 | 80.0 | 84.1 | +1.2/+0.0/-5.9 | – | 2.00 | 0.13 | 512 | 13.9 |" in results_markdown(
        results
    )
    save_results(results, tmp_path)
    assert json.loads((tmp_path / "results.json").read_text())["sf_xs/test"]["test_time"] == STEPS


def test_steps_have_the_recalls_that_were_asked_for():
    renamed = [
        {key.replace("R@5", "R@3").replace("R@20", "R@50"): value for key, value in step.items()} for step in STEPS
    ]
    results = {"x": SF_XS | {"test_time": renamed}}
    assert results_text(results).splitlines()[-4].split()[:6] == ["step", "R@1", "R@3", "R@10", "gain", "R@1"]
    assert "| step | R@1 | R@3 | R@10 | gain R@1/R@3/R@10 |" in results_markdown(results)


def test_steps_without_labels():
    steps = [{key: value for key, value in step.items() if "R@" not in key} for step in STEPS]
    header, _, first, _ = results_text({"mine": {"database": 3, "queries": 1, "test_time": steps}}).splitlines()[-4:]
    assert header.split("  ")[0] == "step" and "R@" not in header and "gain" not in header
    assert first.split()[:2] == ["plain", "61.24"]


TOY = {
    "toy/val": {"mean error": 12.345, "within 25 km": 61.0, "queries": 60, "skipped_queries": 0},
    "toy/test": {"mean error": float("nan"), "queries": np.int64(7), "skipped_queries": 0},
}


def test_figures_of_any_task():
    """Whole numbers are counts; a figure that is unknown or not there is missing."""
    assert figures_table(TOY, ["mean error", "within 25 km", "queries"]) == [
        ["test set", "mean error", "within 25 km", "queries"],
        ["toy/val", "12.3", "61.0", "60"],
        ["toy/test", "–", "–", "7"],
    ]
    header, first, _ = figures_table(TOY, ["mean error"], digits=3, what="set")
    assert (header, first) == (["set", "mean error"], ["toy/val", "12.345"])
    small = {"a": {"mean error": 0.0318, "queries": 7}, "b": {"mean error": 0.002}}
    assert figures_table(small, ["mean error", "queries"], digits=None)[1:] == [
        ["a", "0.0318", "7"],
        ["b", "0.0020", "–"],
    ]
    assert figures_table(small, ["mean error"])[1:] == [["a", "0.0"], ["b", "0.0"]]
    assert figures_table({}, ["mean error"]) == [["test set", "mean error"]]


def test_a_task_without_tables_of_its_own_has_one_table(tmp_path):
    names = ["mean error", "queries"]
    assert (
        results_markdown(TOY, names)
        == """\
| test set | mean error | queries |
| :-- | --: | --: |
| toy/val | 12.3 | 60 |
| toy/test | – | 7 |
"""
    )
    assert (
        results_text(TOY, names=names)
        == """\
test set  mean error  queries
-----------------------------
toy/val         12.3       60
toy/test           –        7
"""
    )
    save_results(TOY, tmp_path, names)
    assert (tmp_path / "results.md").read_text("utf-8") == results_markdown(TOY, names)
    assert json.loads((tmp_path / "results.json").read_text())["toy/val"] == TOY["toy/val"]


def test_skipped_images_are_counted_under_the_table():
    """59 queries were decoded and 1 was not: 60."""
    results = {"demo/test": {"R@1": 50.0, "database": 100, "queries": 59, "skipped_database": 0, "skipped_queries": 1}}
    assert (
        results_text(results)
        == """\
test set    R@1  database  queries  no positive
-----------------------------------------------
demo/test  50.0       100       59            –

Skipped because they cannot be decoded: 1 of 60 queries (demo/test)
"""
    )
    assert (
        results_markdown(results, ["R@1"])
        == """\
| test set | R@1 |
| :-- | --: |
| demo/test | 50.0 |

Skipped because they cannot be decoded: 1 of 60 queries (demo/test)
"""
    )
    results["x"] = {"database": 998, "skipped_database": 2, "queries": 9, "skipped_queries": 1}
    results["y"] = {"database": 5, "queries": 9}
    assert skipped_note(results) == (
        "Skipped because they cannot be decoded: 1 of 60 queries (demo/test); 2 of 1000 database images, "
        "1 of 10 queries (x)"
    )
    assert skipped_note({"y": results["y"]}) == skipped_note({}) == ""


def test_reranking_shows_its_ceiling_and_its_time():
    after = {"R@1": 75.0, "R@5": 82.0, "gain R@1": 5.0, "gain R@5": 2.0, "gain R@10": 0.0, "gain R@20": 0.0}
    before = STEPS[0] | {"R@20": 95.0, "gain R@20": None}
    step = before | after | {
        "step": "+ re-ranking of the first 10 by sift", "describing_seconds": 3.0, "fitting_seconds": 1.0,
        "searching_seconds": None, "ceiling": 90.0, "ceiling_of": 10, "seconds_a_query": 0.0401,
    }  # fmt: skip
    results = {"x": SF_XS | {"test_time": [before, step]}}
    assert results_text(results).endswith("""\
step                                   R@1   R@5  R@10  R@20  gain R@1
----------------------------------------------------------------------
plain                                 70.0  80.0  90.0  95.0         –
+ re-ranking of the first 10 by sift  75.0  82.0  90.0  95.0      +5.0

step                                  extract s  fit s  search s  s a query
---------------------------------------------------------------------------
plain                                     61.24      –      0.50          –
+ re-ranking of the first 10 by sift       3.00   1.00         –      0.040
""")
    sixth = {"x": SF_XS | {"test_time": [before, step | {"ceiling_of": 6}]}}
    assert results_text(sixth).splitlines()[-4].split("  ")[-2:] == ["R@1 at most", "s a query"]  # there is no R@6
    heading, _, first, second = results_markdown(results).splitlines()[-4:]
    assert "R@20" in heading and heading.endswith("| bytes a descriptor | database MB | R@1 at most | s a query |")
    assert first.endswith("| 2048 | 55.7 | – | – |")
    assert "+5.0/+2.0/+0.0/+0.0" in second and second.endswith("| 2048 | 55.7 | 90.0 (R@10) | 0.040 |")
    unlabelled = {key: value for key, value in step.items() if "R@" not in key} | {"ceiling": None}
    assert results_text({"x": {"database": 2, "queries": 1, "test_time": [unlabelled]}}).split()[-2:] == ["–", "0.040"]


def test_confidence_is_in_the_file_and_not_on_the_console():
    figures = {"L2": {"AUC-PR": 80.0, "R@100P": 1.25}, "inliers": {"AUC-PR": 93.84, "R@100P": 40.0}}
    results = {"x": SF_XS | {"confidence": figures}, "y": TOKYO | {"confidence": {}}}
    assert results_markdown(results).endswith("""\
| confidence | AUC-PR | R@100P |
| :-- | --: | --: |
| inliers | 93.8 | 40.0 |
| L2 | 80.0 | 1.2 |
""")
    assert results_markdown(results).count("AUC-PR") == 1
    assert "AUC-PR" not in results_text(results)


def test_sequences_are_named_and_judged_by_their_middle_frames_as_well():
    values = {"R@1": 90.0, "database": 20, "queries": 10, "queries_without_positives": 0}
    sequences = {"length": 5, "mode": "seq2im", "method": "mean", "middle_frames": {"R@1": 80.0}}
    text = results_markdown({"a": values | {"sequences": sequences}, "b": values})
    assert (
        "a: database and queries are sequences of 5 frames, seq2im by mean; one counts as correct if any of its frames "
        "is. By their middle frames alone, as single images are judged: R@1 80.0.\n"
    ) in text and "b: database" not in text
    del sequences["middle_frames"]  # where lists say what is correct
    assert "any of its frames is.\n" in results_markdown({"a": values | {"sequences": sequences}})


def test_sets_without_answerable_queries_are_not_in_their_table():
    far = {"R@1": 0.0, "database": 5, "queries": 7, "queries_without_positives": 7}
    assert "answerable" not in results_text({"far": far})
    head, table = results_text({"far": far, "sf_xs/test": SF_XS}).split("Over answerable queries only")
    assert "far" in head and "far" not in table and "sf_xs/test" in table


def test_steps_fit_the_console_also_where_adaptive_reranking_is_fitted():
    """Long names of steps; the row of the skipped queries says what its gain is over."""
    plain = STEPS[0] | {"R@20": 100.0, "gain R@20": None}
    names = (f"{how} re-ranking of the first 10 by lightglue, {what}" for how, what in (
        ("+", "all queries"), ("or", "100 % skipped")
    ))  # fmt: skip
    costs = {"describing_seconds": 1234.5, "fitting_seconds": 1234.5, "ceiling": 100.0, "ceiling_of": 10}
    both = [STEPS[1] | {"step": name, "R@20": 100.0, "searching_seconds": None} | costs for name in names]
    text = results_text({"x": SF_XS | {"test_time": [plain, *both]}})
    note, table = text[text.index("x, step by step") :].split("\n\n", 1)
    assert note.endswith('begins with "or" is instead of the row above: its gain is over the row before that.')
    assert max(map(len, table.splitlines())) <= 100
    assert "instead of" not in results_text({"x": SF_XS | {"test_time": [plain, both[0]]}})
