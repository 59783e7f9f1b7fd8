-- One NEW_MESSAGE a request, each with an id of its own, spread over the conversations. Each thread of wrk has
-- conversations of its own, so that few messages are late, as from a real sender.
local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  conversations = tonumber(args[1])
  run = args[2]
  sent = 0
end

function request()
  sent = sent + 1
  local body = string.format(
    '{"type": "NEW_MESSAGE", "timestamp": "2025-02-21T10:20:42.%06d", "data": {' ..
    '"id": "%s%02x-0000-4000-8000-%012x", "direction": "%s", "content": "Olá, meu pedido ainda não chegou.", ' ..
    '"conversation_id": "00000000-0000-4000-8000-%012x"}}',
    sent % 1000000, run, number, sent, sent % 2 == 0 and "SENT" or "RECEIVED", (2 * sent + number) % conversations)
  return wrk.format("POST", nil, {["Content-Type"] = "application/json"}, body)
end

function done(summary, latency)
  local answered = summary.requests
  io.write(string.format('{"answered": %d, "refused": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f, "max_ms": %f}\n',
    answered, summary.errors.status, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
