/** What is pasted into pages to load the agent, as docs/agent.md explains it. */
export function snippet(server: string, agentKey: string): string {
  return `<script>
  (function (w, d, server, key) {
    var f = (w.fanfare = w.fanfare || {}), s = d.createElement("script");
    if (f._q) return;
    f._q = [];
    function call(name) { return function () { f._q.push([name, [].slice.call(arguments)]); }; }
    ["initialize", "identify", "updateOptions", "track", "flushNow"].forEach(function (name) { f[name] = call(name); });
    f.events = { on: call("events.on"), off: call("events.off") };
    f.isReady = function () { return false; };
    f.getVisitorId = f.getAccountId = f.getVersion = function () { return ""; };
    s.async = true;
    s.src = server + "/agent/fanfare.js";
    s.setAttribute("data-key", key);
    d.head.appendChild(s);
  })(window, document, ${JSON.stringify(server)}, ${JSON.stringify(agentKey)});

  fanfare.initialize({
    visitor: { id: "jane@example.com", role: "admin" },
    account: { id: "acme", plan: "pro" },
  });
</script>`;
}
