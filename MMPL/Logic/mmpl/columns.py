"""Names of the feature columns that are neither radiomics nor clinical."""

DEEP_HPV = "deep_hpv"  # raw HPV logit of a member's stage 2 network
DEEP_DAYS = "deep_days"  # expected recurrence-free days of a member's stage 3 network; longer = better
HPV_PROBABILITY = "hpv_probability"  # of the same member's forest
