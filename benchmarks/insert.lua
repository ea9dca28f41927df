-- wrk: one parcel a request. Arguments: how the healthy column is named, then "name: value" headers. The last line it prints is JSON.
local number = 0

function init(args)
  column = args[1]
  wrk.method = "POST"
  wrk.headers["content-type"] = "application/json"
  for i = 2, #args do
    local name, value = args[i]:match("^(.-): (.*)$")
    wrk.headers[name] = value
  end
end

function request()
  number = number + 1
  local body = string.format(
    '{"sender":"sender %d","%s":"p%d@example.com","weight_grams":%d,"price":12.5,"notes":"two floors up"}',
    number, column, number, number % 5000)
  return wrk.format(nil, nil, nil, body)
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('{"requests":%d,"seconds":%f,"p50":%f,"p99":%f,"failed":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e6, latency:percentile(99) / 1e6,
    e.connect + e.read + e.write + e.status + e.timeout))
end
