"""What benchmarks run in processes of their own: functions that take texts and return figures."""
