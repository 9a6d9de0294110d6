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
  // As web/formats.py writes it: beside a button for another card, the sentence alone would be read as that one's.
  const refusal = (error) => {
    const { brand, last4 } = error.payment_method?.card ?? {};
    const name = (brand || "card").replaceAll("_", " ");
    return `${last4 ? `${name[0].toUpperCase()}${name.slice(1)} •••• ${last4}: ` : ""}${error.message ?? "That did not go through."}`;
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
      show(`${refusal(error)} ${aftermath}`);
    } catch {
      show(`Stripe could not be reached. ${aftermath}`);
    }
    root.removeAttribute("aria-busy");
    for (const button of buttons) button.disabled = false;
    // The button that had the focus lost it when it was disabled; the next Tab leads on from here.
    problem.focus();
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
