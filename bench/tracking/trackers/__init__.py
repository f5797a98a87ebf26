"""One file a tracker. They must be cheap to import: libraries are imported where they are used."""
