"""What people look at after a run: prediction sheets, a browsable gallery, training curves and result tables."""
