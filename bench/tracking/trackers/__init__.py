"""One file per tracker. They must be cheap to import: libraries are imported where they are used."""
