from flags.data import ClassSettings, GridSettings
from flags.settings import names_where
from parser import TrainSettings, parse_eval_settings
from tests.flags.parsing import evaluation, refused, train


def test_an_evaluation_takes_several_folders_and_a_training_one():
    assert evaluation("--dataset_folder", "a", "b", "--test_set_folder", "c", "d").dataset_folder == ["a", "b"]
    assert train("--dataset_folder", "a", "--test_set_folder", "c").test_set_folder == "c"


def test_the_grid_is_that_of_cosplace():
    assert GridSettings() == GridSettings(M=10, alpha=30, N=5, L=2, min_images_per_class=10)
    assert ClassSettings().groups_num == 8


def test_data_may_move_before_a_run_continues():
    folders = {"dataset_folder", "train_set_folder", "val_set_folder", "test_set_folder", "target_folder"}
    assert folders <= names_where(TrainSettings, lambda flag: flag.on_resume)


def test_where_the_test_sets_of_an_evaluation_are():
    assert evaluation("--dataset_folder", "a", "--queries_folder", "q1", "q2").queries_folder == ["q1", "q2"]
    assert train("--dataset_folder", "a", "--queries_folder", "q1").queries_folder == "q1"
    data = parse_eval_settings(["--database_folder", "d", "--queries_folder", "q1"]).data
    assert (data.database_folder, data.dataset_folder, data.queries_folder) == ("d", [], ["q1"])
    for other in ("--dataset_folder", "--val_set_folder", "--protocol"):
        with refused(f"--database_folder and {other} are in conflict"):
            parse_eval_settings(["--database_folder", "d", "--queries_folder", "q1", other, "x"])
    with refused("--database_folder needs --queries_folder"):
        parse_eval_settings(["--database_folder", "d"])
