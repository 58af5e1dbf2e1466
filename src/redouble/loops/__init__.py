"""Floor 5: long-lived work on the same controller: connections that drop, answers that are not ready, reads that resume."""
