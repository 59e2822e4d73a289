"""The paper's ablations on one cohort: what each part of the method adds, judged on out-of-fold rows."""
