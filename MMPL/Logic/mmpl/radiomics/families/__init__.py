"""One module a feature family. Definitions are pyradiomics 3.0.1's; codes are IBSI's.

Each returns its values in the order of ``FEATURES_OF_FAMILY``.

References: van Griethuysen et al., Cancer Res 2017;77:e104-e107; Zwanenburg et al., Radiology 2020;295:328-338.
"""
