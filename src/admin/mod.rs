//! What operators ask: four-letter words and metrics.
