-- wrk: one request after another, {n} in path and body is a number from 1 to `most` ({n:012} with twelve digits), by chance; with a seed
-- of 0 or less, -s, one after the other behind s. {r} in the path is a number from 1 to 100, by chance. Arguments: method, path, body ("-"
-- for none), most, seed, then "name: value" headers; a header "@file" takes one of the file's lines instead (a caller each). The last line
-- it prints is JSON.
local callers = {}

function init(args)
  method, path, body, most = args[1], args[2], args[3], tonumber(args[4])
  seed = tonumber(args[5])
  number = math.max(0, -seed)
  math.randomseed(seed)
  headers = {}
  if body == "-" then body = nil else headers["content-type"] = "application/json" end
  for i = 6, #args do
    local file = args[i]:match("^@(.+)$")
    if file then
      for line in io.lines(file) do callers[#callers + 1] = line end
    else
      local name, value = args[i]:match("^(.-): (.*)$")
      headers[name] = value
    end
  end
end

function request()
  number = number % most + 1
  local n = string.format("%d", seed <= 0 and number or math.random(most))
  if #callers > 0 then
    local line = callers[(tonumber(n) - 1) % #callers + 1]
    for name, value in line:gmatch("([^\t]-): ([^\t]*)") do headers[name] = value end
  end
  local filled = body and (body:gsub("{n}", n):gsub("{n:012}", string.format("%012d", n)))
  return wrk.format(method, (path:gsub("{n}", n):gsub("{r}", math.random(100))), headers, filled)
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('{"requests":%d,"seconds":%f,"p50":%f,"p99":%f,"failed":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e6, latency:percentile(99) / 1e6,
    e.connect + e.read + e.write + e.status + e.timeout))
end
