"""Read clinical notes and say, with proof, which ICD-10-CM code a pars defect or a vertebral slip deserves."""

__version__ = "0.1.0"
