function session(s)
  return within(s.client, "10.0.0.0/8")
end
