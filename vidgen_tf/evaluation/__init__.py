"""What is measured of which model, against which reference, and how it is reported."""
