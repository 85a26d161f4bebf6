from flags.data import ClassSettings, GridSettings
from flags.settings import names_where
from parser import TrainSettings
from tests.flags.parsing import evaluation, train


def test_an_evaluation_takes_several_folders_and_a_training_one():
    assert evaluation("--dataset_folder", "a", "b", "--test_set_folder", "c", "d").dataset_folder == ["a", "b"]
    assert train("--dataset_folder", "a", "--test_set_folder", "c").test_set_folder == "c"


def test_the_grid_is_that_of_cosplace():
    assert GridSettings() == GridSettings(M=10, alpha=30, N=5, L=2, min_images_per_class=10)
    assert ClassSettings().groups_num == 8


def test_data_may_move_before_a_run_continues():
    folders = {"dataset_folder", "train_set_folder", "val_set_folder", "test_set_folder", "target_folder"}
    assert folders <= names_where(TrainSettings, lambda flag: flag.on_resume)
