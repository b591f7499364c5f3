-- All requests are built before the first one is sent. Each has another key, in turn, or each key is used once: then the
-- run ends before the last keys are used, because each connection may have one more request when wrk stops.
local keys, requests, at = { {{keys}} }, {}, 0
init = function()
  for nth, key in ipairs(keys) do
    wrk.headers["Authorization"] = "Bearer " .. key
    requests[nth] = wrk.format()
  end
end
request = function()
  at = at % #requests + 1
  if {{once}} and at >= #requests - {{reserve}} then
    wrk.thread:stop()
  end
  return requests[at]
end
