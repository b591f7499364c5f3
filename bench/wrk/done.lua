-- Prints the requests, the bytes that were read, and the failures.
done = function(summary)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("bench: %d %d %d\n", summary.requests, summary.bytes, failed))
end
