// Confirms one payment with its card holder, or saves a card, through Stripe.js. Grants nothing: the server looks at Stripe itself.
(() => {
  const root = document.getElementById("pay");
  const { key, secret, status, method, done, aftermath, kind } = root.dataset;
  const problem = document.getElementById("pay-problem");
  const buttons = [...root.querySelectorAll("button")];

  const show = (text) => {
    problem.textContent = text;
    problem.hidden = !text;
  };
  const attempt = async (run) => {
    show("");
    for (const button of buttons) button.disabled = true;
    root.setAttribute("aria-busy", "true");
    try {
      const { error } = await run();
      const state = (error?.payment_intent ?? error?.setup_intent)?.status;
      // Paid in another window meanwhile, or given up: the server knows which.
      if (!error || state === "succeeded" || state === "processing" || state === "canceled") return window.location.assign(done);
      show(`${error.message ?? "That did not go through."} ${aftermath}`);
    } catch {
      show(`Stripe could not be reached. ${aftermath}`);
    }
    root.removeAttribute("aria-busy");
    for (const button of buttons) button.disabled = false;
  };

  if (!window.Stripe) return show("Stripe's script could not be loaded. Allow js.stripe.com and reload, or pay on the billing page.");
  const stripe = window.Stripe(key);
  let elements;

  document.getElementById("pay-same")?.addEventListener("click", () =>
    attempt(() =>
      status === "requires_action"
        ? stripe.handleNextAction({ clientSecret: secret })
        : stripe.confirmCardPayment(secret, { payment_method: method }),
    ),
  );
  document.getElementById("pay-another").addEventListener("toggle", (event) => {
    if (elements || !event.target.open) return;
    elements = stripe.elements({ clientSecret: secret });
    elements.create("payment").mount("#pay-element");
  });
  document.getElementById("pay-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const confirm = kind === "setup_intent" ? stripe.confirmSetup : stripe.confirmPayment;
    attempt(() => confirm({ elements, confirmParams: { return_url: done }, redirect: "if_required" }));
  });
  if (!document.getElementById("pay-same")) document.getElementById("pay-another").open = true;
  root.hidden = false;
})();
